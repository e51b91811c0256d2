images:
  cmd.run:
    - name: "echo 'images: not a PNG file: logo.png' >&2; exit 1"
    - parallel: True

styles:
  cmd.run:
    - name: echo styles
    - parallel: True

scripts:
  cmd.run:
    - name: "echo 'scripts: SyntaxError: Unexpected token at cart.js:14' >&2; exit 1"
    - parallel: True
