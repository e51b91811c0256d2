settings:
  cmd.run:
    - name: echo {{ grains['datacenter'].upper() }}
