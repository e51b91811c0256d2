import sys

print("shop 2.0")
print("reading settings")
sys.exit("ERROR: unknown log level loud in settings.toml; use debug, info or warning")
