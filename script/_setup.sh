# shellcheck shell=bash
# Sourced by the scripts beside it: system packages where that is possible, and a virtual environment with slugkit.

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$1" >&2
  [[ -n ${2-} ]] && printf 'hint: %s\n' "$2" >&2
  exit 1
}

# install PACKAGE...: install Debian packages as root; elsewhere, say which ones are missing.
install() {
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    say "installing $*"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$@"; } >/dev/null ||
      die "apt-get could not install $*"
  else
    die "these packages are missing: $*" "on Debian or Ubuntu: sudo apt-get install $*"
  fi
}

# need COMMAND[=PACKAGE]...: install the packages of the commands that are not there.
need() {
  local wanted missing=()
  for wanted in "$@"; do
    command -v "${wanted%=*}" >/dev/null || missing+=("${wanted#*=}")
  done
  [[ ${#missing[@]} == 0 ]] || install "${missing[@]}"
}

# find_python: print the first interpreter of at least 3.11, $PYTHON before any other.
find_python() {
  local candidate
  for candidate in ${PYTHON-} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  die "no Python of at least 3.11 found" "install one, or name it: PYTHON=/path/to/python3.12 $0"
}

# make_environment DIRECTORY PIP_ARGUMENT...: a virtual environment there with what pip is told to install.
make_environment() {
  local directory=$1 python
  shift
  python=$(find_python)
  if ! [[ -x $directory/bin/python ]] || ! "$directory/bin/python" -c 'import pip' 2>/dev/null; then
    say "making a virtual environment in $directory with $python"
    rm -rf "$directory"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install python3-venv
    "$python" -m venv "$directory" || die "$python cannot make a virtual environment"
  fi
  "$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
    die "pip could not install $*"
}
