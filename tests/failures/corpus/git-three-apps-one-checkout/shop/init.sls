{%- set base = salt['environ.get']('HOME') ~ '/shop' %}
checkout:
  git.latest:
    - name: https://git.example.org/shop/api.git
    - rev: feature/crat
    - target: {{ base }}/checkout
    - branch: deployed
    - force_reset: True

storefront-settings:
  file.managed:
    - name: {{ base }}/storefront.conf
    - contents: "branch = feature/crat"
    - makedirs: True
    - require:
      - git: checkout

storefront-build:
  cmd.run:
    - name: make storefront
    - cwd: {{ base }}/checkout
    - require:
      - git: checkout
      - file: storefront-settings

storefront-service:
  service.running:
    - name: storefront
    - watch:
      - cmd: storefront-build
