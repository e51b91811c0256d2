checkout:
  git.latest:
    - name: http://{{ pillar['brinepool']['address'] }}:8090/shop/api.git
    - target: {{ salt['environ.get']('HOME') }}/checkout
