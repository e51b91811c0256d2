checkout:
  git.latest:
    - name: ssh://git@{{ pillar['brinepool']['address'] }}:2222/shop/api.git
    - target: {{ salt['environ.get']('HOME') }}/checkout
