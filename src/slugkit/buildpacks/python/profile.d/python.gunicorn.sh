# shellcheck shell=bash
# What gunicorn reads behind a router (contract.md 8.3); what a config var sets keeps priority.
export FORWARDED_ALLOW_IPS="${FORWARDED_ALLOW_IPS:-*}"
export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS:---access-logfile -}"
