checkout:
  git.latest:
    - name: https://git.example.org/shop/api.git

build:
  cmd.run:
    - name: echo built
    - require:
      - git: checkout
