migrate:
  cmd.run:
    - name: "echo 'ERROR: database shop is locked by another migration' >&2; exit 1"

seed:
  cmd.run:
    - name: echo seeded
    - require:
      - cmd: migrate

report:
  cmd.run:
    - name: echo reported
    - require:
      - cmd: seed
