key:
  cmd.run:
    - name: "echo 'cat: signing.key: Permission denied' >&2; exit 1"

sign:
  cmd.run:
    - name: echo signed
    - require:
      - cmd: key

stock:
  cmd.run:
    - name: "echo 'stock service answered 503 Service Unavailable' >&2; exit 22"

order:
  cmd.run:
    - name: echo ordered
    - require:
      - cmd: stock
