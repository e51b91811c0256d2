licence:
  cmd.run:
    - name: "echo 'licence server licences.example.org: no licence left' >&2; exit 1"

start:
  cmd.run:
    - name: echo started
    - require:
      - cmd: licence
