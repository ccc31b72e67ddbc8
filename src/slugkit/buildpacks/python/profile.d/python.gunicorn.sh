# shellcheck shell=bash
# What gunicorn reads behind a router (contract.md 8.3); what a config var sets keeps priority.
export FORWARDED_ALLOW_IPS="${FORWARDED_ALLOW_IPS:-*}"
export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS:---access-logfile -}"
# Its control socket (25.1 and later) is there, and else in $HOME, where nothing can be written.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}"
