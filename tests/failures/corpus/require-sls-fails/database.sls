start-database:
  cmd.run:
    - name: "echo 'FATAL: could not open lock file: No such file or directory' >&2; exit 1"

tune-database:
  cmd.run:
    - name: echo tuned
