prices:
  cmd.run:
    - name: "echo 'ERROR: tax table is empty' >&2; exit 1"

reload:
  cmd.run:
    - name: echo reloaded
    - require:
      - cmd: prices
