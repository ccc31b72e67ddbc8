class GreetingsController < ApplicationController
  def show
    session[:visits] = session[:visits].to_i + 1
  end
end
