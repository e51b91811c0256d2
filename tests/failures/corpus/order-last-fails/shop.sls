smoke-test:
  cmd.run:
    - name: "echo 'smoke test: cart total is 0.00, expected 7.00' >&2; exit 1"
    - order: last

install:
  cmd.run:
    - name: echo installed
