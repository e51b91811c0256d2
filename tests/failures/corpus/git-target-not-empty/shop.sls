checkout:
  git.latest:
    - name: https://git.example.org/shop/api.git
    - target: {{ salt['environ.get']('HOME') }}/checkout
