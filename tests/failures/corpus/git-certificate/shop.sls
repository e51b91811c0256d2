checkout:
  git.latest:
    - name: https://{{ pillar['brinepool']['address'] }}:8443/shop/api.git
    - target: {{ salt['environ.get']('HOME') }}/checkout
