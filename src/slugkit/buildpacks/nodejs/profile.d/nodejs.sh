# shellcheck shell=bash
# Sourced at every dyno start; what a config var sets keeps priority (contract.md 8.4).
# WEB_CONCURRENCY = memory / WEB_MEMORY, from 1 to 200. The memory limit is the cgroup's (v2, then v1); one above 1 TiB
# means there is none, and the machine's counts.
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
export WEB_MEMORY="${WEB_MEMORY:-$((_memory > 16384 ? 2048 : 512))}"
if [[ -z ${WEB_CONCURRENCY-} ]]; then
  [[ $WEB_MEMORY =~ ^[1-9][0-9]{0,8}$ ]] && _memory=$((_memory / WEB_MEMORY)) || _memory=1
  export WEB_CONCURRENCY=$((_memory < 1 ? 1 : _memory > 200 ? 200 : _memory))
fi
unset _memory
unset -f _slugkit_memory
export PATH="$PATH:$HOME/bin:$HOME/node_modules/.bin"
hash node 2>/dev/null && export NODE_HOME="${NODE_HOME:-${BASH_CMDS[node]%/bin/node}}"
export NODE_ENV="${NODE_ENV:-production}"
# `npm start` writes nothing into the app, which is read-only.
export NPM_CONFIG_CACHE="${NPM_CONFIG_CACHE:-${TMPDIR:-/tmp}/npm}"
export NPM_CONFIG_LOGS_MAX="${NPM_CONFIG_LOGS_MAX:-0}"
export NPM_CONFIG_UPDATE_NOTIFIER="${NPM_CONFIG_UPDATE_NOTIFIER:-false}"
