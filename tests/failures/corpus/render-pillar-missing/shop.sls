settings:
  cmd.run:
    - name: echo {{ pillar['database_url'] }}
