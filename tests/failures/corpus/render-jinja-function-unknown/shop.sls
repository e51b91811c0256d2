version:
  cmd.run:
    - name: echo {{ salt['shop.version']() }}
