# shellcheck shell=bash
# Sourced at every dyno start; what a config var sets keeps priority (contract.md 8.4).
export PATH="$PATH:$HOME/bin:$HOME/node_modules/.bin"
hash node 2>/dev/null && export NODE_HOME="${NODE_HOME:-${BASH_CMDS[node]%/bin/node}}"
export NODE_ENV="${NODE_ENV:-production}"
# `npm start` writes nothing into the app, which is read-only.
export NPM_CONFIG_CACHE="${NPM_CONFIG_CACHE:-${TMPDIR:-/tmp}/npm}"
export NPM_CONFIG_LOGS_MAX="${NPM_CONFIG_LOGS_MAX:-0}"
export NPM_CONFIG_UPDATE_NOTIFIER="${NPM_CONFIG_UPDATE_NOTIFIER:-false}"
