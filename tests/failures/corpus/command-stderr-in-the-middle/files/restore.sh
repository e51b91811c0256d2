#!/bin/sh
for table in products prices orders; do echo "NOTICE: table $table does not exist, skipping" >&2; done
echo "FATAL: role shop does not exist" >&2
for step in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "NOTICE: rolling back step $step" >&2; done
echo "2 warnings, see restore.log" >&2
exit 1
