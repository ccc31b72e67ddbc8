# shellcheck shell=bash
# As on Heroku only where a config var SENSIBLE_DEFAULTS is set: the sizes of its dynos, told by how many processes they
# may have (contract.md 4.8), and what a config var sets keeps priority.
_slugkit_size() {
  export HEROKU_RAM_LIMIT_MB="${HEROKU_RAM_LIMIT_MB:-$1}" WEB_CONCURRENCY="${WEB_CONCURRENCY:-$2}"
}
case ${SENSIBLE_DEFAULTS:+$(ulimit -u)} in
  256) _slugkit_size 512 2 ;;
  512) _slugkit_size 1024 4 ;;
  16384) _slugkit_size 2560 8 ;;
  32768) _slugkit_size 6144 16 ;;
esac
unset -f _slugkit_size
