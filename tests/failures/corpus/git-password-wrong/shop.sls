checkout:
  git.latest:
    - name: http://deployer:sample-only-not-a-token@{{ pillar['brinepool']['address'] }}:8090/shop/api.git
    - target: {{ salt['environ.get']('HOME') }}/checkout
