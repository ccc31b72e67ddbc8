#!/usr/bin/env bash
# Anything executable will do: there is nothing to compile.
echo "it is $(date -u +%H:%M) in $PWD" | tee tmp/clock
exec sleep infinity
