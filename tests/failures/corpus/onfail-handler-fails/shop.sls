import:
  cmd.run:
    - name: "echo 'ERROR: orders.csv line 12: not a number' >&2; exit 1"

clean-up:
  cmd.run:
    - name: "echo 'cleaner is not installed' >&2; exit 127"
    - onfail:
      - cmd: import
