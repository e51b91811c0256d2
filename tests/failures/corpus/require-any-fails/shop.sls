mirror-north:
  cmd.run:
    - name: "echo 'mirror north: no route to host' >&2; exit 1"

mirror-south:
  cmd.run:
    - name: "echo 'mirror south: 403 forbidden' >&2; exit 1"

install:
  cmd.run:
    - name: echo installed
    - require_any:
      - cmd: mirror-north
      - cmd: mirror-south
