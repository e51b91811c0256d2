template:
  cmd.run:
    - name: "echo 'template error: page.tpl:3: unexpected end of file' >&2; exit 2"
    - watch_in:
      - cmd: render

render:
  cmd.wait:
    - name: echo rendered
