cache:
  module.run:
    - shop.flush:
      - all: True
