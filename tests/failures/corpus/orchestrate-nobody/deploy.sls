configure:
  salt.state:
    - tgt: cart-test-db-1
    - sls: shop
