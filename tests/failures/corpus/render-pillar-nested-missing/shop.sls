settings:
  cmd.run:
    - name: echo {{ pillar.brinepool.database.url }}
