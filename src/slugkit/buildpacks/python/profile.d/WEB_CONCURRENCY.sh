# shellcheck shell=bash
# WEB_CONCURRENCY = min(memory / 256 MiB, 2 * cores + 1) unless a config var sets it (contract.md 8.3).
# The memory limit is the cgroup's (v2, then v1); one above 1 TiB means there is none, and the machine's counts.
_slugkit_ram() {
  local file bytes
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    if [[ -r $file ]] && read -r bytes <"$file" && [[ $bytes =~ ^[0-9]{1,12}$ ]]; then
      echo $((bytes / 1048576))
      return
    fi
  done
  local key kib rest
  while read -r key kib rest; do
    [[ $key == MemTotal: ]] && echo $((kib / 1024)) && return
  done </proc/meminfo
  echo 512
}
_slugkit_concurrency() {
  local by_ram=$(($1 / 256)) by_cores=$(($(nproc) * 2 + 1))
  local least=$((by_ram < by_cores ? by_ram : by_cores))
  echo $((least > 0 ? least : 1))
}
DYNO_RAM="$(_slugkit_ram)"
export DYNO_RAM
if [[ ${DYNO-} == web.* ]]; then
  echo "Python buildpack: $DYNO_RAM MB of memory and $(nproc) CPU cores are available" >&2
  if [[ -n ${WEB_CONCURRENCY-} ]]; then
    echo "Python buildpack: WEB_CONCURRENCY is $WEB_CONCURRENCY, as it was set" >&2
  else
    echo "Python buildpack: WEB_CONCURRENCY defaults to $(_slugkit_concurrency "$DYNO_RAM")" >&2
  fi
fi
export WEB_CONCURRENCY="${WEB_CONCURRENCY:-$(_slugkit_concurrency "$DYNO_RAM")}"
unset -f _slugkit_ram _slugkit_concurrency
