import sys

print("shop 2.0 starts with 12 workers")
print("CRITICAL schema version 3 is older than 4: run the migration first", file=sys.stderr)
for number in range(1, 13):
    print(f"INFO worker {number} stopped")
sys.exit(1)
