first:
  cmd.run:
    - name: echo first

schema:
  cmd.run:
    - name: "echo 'schema version 7 is newer than 6' >&2; exit 1"
    - failhard: True

last:
  cmd.run:
    - name: echo last
