index:
  cmd.run:
    - name: "echo 'ERROR: search index is read-only' >&2; exit 1"
