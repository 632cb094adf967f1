"""Does a mammography classifier keep its accuracy when the sensor and the population change?"""
