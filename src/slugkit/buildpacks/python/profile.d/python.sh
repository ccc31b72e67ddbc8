# shellcheck shell=bash
# Sourced at every dyno start; what a config var sets keeps priority.
export PATH="$HOME/.heroku/python/bin:$PATH"
export PYTHONUNBUFFERED=true
export PYTHONPATH="${PYTHONPATH:-$HOME}"
export LANG="${LANG:-C.UTF-8}"
export PIP_DISABLE_PIP_VERSION_CHECK=1
if [[ -d $HOME/.heroku/python/nltk_data ]]; then
  export NLTK_DATA="${NLTK_DATA:-$HOME/.heroku/python/nltk_data}"
fi
