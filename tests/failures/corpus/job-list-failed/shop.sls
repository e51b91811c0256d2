upload:
  cmd.run:
    - name: "echo 'ERROR: disk quota of team shop is used up' >&2; exit 1"
