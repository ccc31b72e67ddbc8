# shellcheck shell=bash
# WEB_CONCURRENCY = memory / WEB_MEMORY, from 1 to 200, unless a config var sets it (contract.md 8.4).
# On Heroku the file of every pack has this name: of several packs the last one's counts.
# The memory limit is the cgroup's (v2, then v1); one above 1 TiB means there is none, and the machine's counts.
_slugkit_memory() {
  local file bytes key kib rest
  _memory=512
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    if [[ -r $file ]] && read -r bytes <"$file" && [[ $bytes =~ ^[0-9]{1,12}$ ]]; then
      _memory=$((bytes / 1048576))
      return
    fi
  done
  while read -r key kib rest; do
    [[ $key == MemTotal: ]] && _memory=$((kib / 1024)) && return
  done </proc/meminfo
}
_slugkit_memory
export MEMORY_AVAILABLE="${MEMORY_AVAILABLE:-$_memory}"
[[ $MEMORY_AVAILABLE =~ ^[1-9][0-9]{0,8}$ ]] && _memory=$MEMORY_AVAILABLE
export WEB_MEMORY="${WEB_MEMORY:-$((_memory > 16384 ? 2048 : 512))}"
if [[ -z ${WEB_CONCURRENCY-} ]]; then
  [[ $WEB_MEMORY =~ ^[1-9][0-9]{0,8}$ ]] && _memory=$((_memory / WEB_MEMORY)) || _memory=1
  export WEB_CONCURRENCY=$((_memory < 1 ? 1 : _memory > 200 ? 200 : _memory))
fi
if [[ ${LOG_CONCURRENCY-} == true ]]; then
  echo "Detected $MEMORY_AVAILABLE MB available memory, $WEB_MEMORY MB limit per process (WEB_MEMORY)" >&2
  echo "Recommending WEB_CONCURRENCY=$WEB_CONCURRENCY" >&2
fi
unset _memory
unset -f _slugkit_memory
