# shellcheck shell=bash
# Sourced at every dyno start; what a config var sets keeps priority, but for where the bundle is.
export LANG="${LANG:-C.UTF-8}"
export RACK_ENV="${RACK_ENV:-production}"
export RAILS_ENV="${RAILS_ENV:-production}"
export RAILS_SERVE_STATIC_FILES="${RAILS_SERVE_STATIC_FILES:-enabled}"
export RAILS_LOG_TO_STDOUT="${RAILS_LOG_TO_STDOUT:-enabled}"
export PUMA_PERSISTENT_TIMEOUT="${PUMA_PERSISTENT_TIMEOUT:-95}"
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}" # as Heroku has it: memory that glibc keeps for each thread
export DISABLE_SPRING="${DISABLE_SPRING:-1}"
export BUNDLE_PATH="$HOME/vendor/bundle"
export BUNDLE_BIN="$HOME/vendor/bundle/bin"
export BUNDLE_DEPLOYMENT="${BUNDLE_DEPLOYMENT:-1}"
export BUNDLE_WITHOUT="${BUNDLE_WITHOUT:-development:test}"
export BUNDLE_USER_HOME="${BUNDLE_USER_HOME:-$HOME/.bundle}" # else Bundler looks whether it may write to $HOME, and warns
for _slugkit_gems in "$HOME"/vendor/bundle/ruby/*; do
  export GEM_PATH="$_slugkit_gems:${GEM_PATH:-}" # what ends with a colon goes on with the gems of the stack
  export PATH="$HOME/bin:$HOME/vendor/bundle/bin:$_slugkit_gems/bin:$PATH"
done
unset _slugkit_gems
