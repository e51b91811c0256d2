slow:
  cmd.run:
    - name: touch {{ salt['environ.get']('HOME') }}/started; sleep 30
