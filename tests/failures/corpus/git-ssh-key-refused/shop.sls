{%- set home = salt['environ.get']('HOME') %}
checkout:
  git.latest:
    - name: ssh://git@{{ pillar['brinepool']['address'] }}:2222/shop/api.git
    - target: {{ home }}/checkout
    - identity: {{ home }}/deploy_key
