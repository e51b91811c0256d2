already-there:
  cmd.run:
    - name: echo made
    - unless: "true"

not-wanted:
  cmd.run:
    - name: echo made
    - onlyif: "false"

wanted:
  cmd.run:
    - name: "echo 'cannot create bucket shop-images: name is taken' >&2; exit 1"
    - unless: "false"
