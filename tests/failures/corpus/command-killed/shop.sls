index:
  cmd.run:
    - name: echo indexing; kill -KILL $$
