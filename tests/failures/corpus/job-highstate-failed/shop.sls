checkout:
  git.latest:
    - name: https://git.example.org/shop/api.git
    - rev: feature/carts
    - target: {{ salt['environ.get']('HOME') }}/checkout

build:
  cmd.run:
    - name: make
    - require:
      - git: checkout
