checkout:
  git.latest:
    - name: {{ salt['environ.get']('HOME') }}/upstream
    - rev: main
    - target: {{ salt['environ.get']('HOME') }}/checkout
    - submodules: True
