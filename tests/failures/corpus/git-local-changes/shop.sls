checkout:
  git.latest:
    - name: file://{{ salt['environ.get']('HOME') }}/other
    - rev: main
    - target: {{ salt['environ.get']('HOME') }}/checkout
