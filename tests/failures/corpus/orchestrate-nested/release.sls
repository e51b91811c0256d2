deploy:
  salt.runner:
    - name: state.orchestrate
    - mods: deploy

tell:
  salt.function:
    - name: test.ping
    - tgt: cart-test-web-1
    - require:
      - salt: deploy
