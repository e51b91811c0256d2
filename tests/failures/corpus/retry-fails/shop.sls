wait-for-search:
  cmd.run:
    - name: "echo 'search index is not ready: 3 of 8 shards' >&2; exit 1"
    - retry:
        attempts: 3
        interval: 1
