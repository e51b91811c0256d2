echo "packing 120 pages"
echo "ERROR: page 7 (jars.html): image jars/dill.png is missing" >&2
for number in $(seq 1 20); do echo "removing page $number of 120"; done
echo "done cleaning up"
exit 1
