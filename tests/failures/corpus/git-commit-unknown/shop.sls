checkout:
  git.latest:
    - name: https://git.example.org/shop/api.git
    - rev: 1f0e2d3c4b5a69788796a5b4c3d2e1f001234567
    - target: {{ salt['environ.get']('HOME') }}/checkout
