count:
  salt.runner:
    - name: jobs.list_job

deploy:
  salt.function:
    - name: test.ping
    - tgt: cart-test-api-1
    - require:
      - salt: count
